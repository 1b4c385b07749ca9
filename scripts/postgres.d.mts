export interface PrivatePostgres {
  url: string;
  stop(): Promise<void>;
}

export function startPostgres(options?: {durable?: boolean}): Promise<PrivatePostgres | {skipped: string}>;
