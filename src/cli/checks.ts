/** What `doctor` looks at, in this order: a check comes behind those that it needs. */
export const checkIds = [
  'node',
  'files',
  'config',
  'keys',
  'security',
  'database',
  'write',
  'port',
  'delivery',
  'broker',
  'tokens',
  'clock',
] as const;
export type CheckId = (typeof checkIds)[number];

/** Other words for some of them. */
export const checkAliases: Readonly<Record<string, CheckId>> = {db: 'database', centrifugo: 'broker'};
