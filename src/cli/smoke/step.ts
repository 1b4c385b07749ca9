import type {ApiAnswer} from '../../api.ts';
import type {Person} from './person.ts';

/** What steps work with: a server, people on it, and the command line beside it. */
export interface Stage {
  apiUrl: string;
  realtimeUrl: string;
  /** Different in every run, to make names of. */
  mark: string;
  /** A token that nobody's secret signs. */
  forgedToken: string;
  /** The same one for the same id. */
  person(id: string): Person;
  service(method: string, path: string, body?: object): Promise<ApiAnswer>;
  /** A request without a token. */
  nobody(method: string, path: string, body?: object): Promise<ApiAnswer>;
  /** `chatctl` with these arguments, on the database and server of this stage. */
  chatctl(args: readonly string[], stdin?: string): Promise<CommandResult>;
}

export interface CommandResult {
  exit: number;
  stdout: string;
  stderr: string;
}

export interface Step {
  id: string;
  about: string;
  /** It is skipped unless these passed. */
  needs: readonly string[];
  /** It cleans up: it runs also after a failure and an interruption, and not with --keep. */
  always: boolean;
  /** Fails by throwing. */
  run(stage: Stage): Promise<void>;
}

export interface StepResult {
  id: string;
  about: string;
  /** Null for a step that did not run. */
  ok: boolean | null;
  ms: number;
  error: string | null;
  exit_code: number;
}

export interface Run {
  name: string;
  startedAt: Date;
  ms: number;
  results: readonly StepResult[];
  exitCode: number;
}
