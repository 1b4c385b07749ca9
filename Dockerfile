# What runs: the packages of production. The driver for SQLite alone runs a script: where it is not there prebuilt it is
# compiled, which the slim image could not.
FROM node:24-bookworm AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm rebuild sqlite3

# What is built. Nothing that the build needs comes out of an install script.
FROM node:24-bookworm AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
# A new volume takes the owner and mode of the folder that it is mounted over: the init step of the compose file writes
# its volumes as `node`, without any capability.
RUN ln -s /app/dist/bin/chatctl.js /usr/local/bin/chatctl \
  && for service in chatctl centrifugo postgres prometheus grafana; do \
       install -d -o node -g node -m 0750 /secrets "/secrets/$service"; \
     done
USER node
EXPOSE 9000 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 9000) + '/healthz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["chatctl", "serve"]
