// The project file, .chatctl/config.json: read whole, or checked for all that is wrong with it.
import {existsSync, readFileSync} from 'node:fs';
import {commandLine} from './core/command-line.ts';
import {ChatError} from './core/errors.ts';
import {didYouMean} from './core/nearest.ts';
import {isSettingName, meaningOf, parseSetting, settingNames, type SettingName} from './settings.ts';

/** By name, as texts; a file that is not there is empty. Throws config_invalid. */
export function readConfigFile(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  const content = contentOf(path);
  const [wrong] = Object.entries(content).flatMap(([name, value]) => misfit(name, value) ?? []);
  if (wrong === undefined) return content as Record<string, string>;
  throw new ChatError('config_invalid', `The file ${path} is not valid. ${wrong.message}`, {
    hint: `${wrong.hint}\nSee all that is wrong: ${commandLine(['chatctl', 'config', 'check'], [path])}`,
  });
}

export interface ConfigProblem {
  /** The setting, or the file where none can be named. */
  path: string;
  message: string;
}

/** All that is wrong with a project file, where loading it stops at the first. No text that may be a secret is told. */
export function checkConfigFile(path: string): ConfigProblem[] {
  try {
    return Object.entries(contentOf(path)).flatMap(([name, value]) => problemsOf(name, value));
  } catch (error) {
    return [toProblem(path, error)];
  }
}

function problemsOf(name: string, value: unknown): ConfigProblem[] {
  const wrong = misfit(name, value);
  if (wrong !== undefined) return [toProblem(name, wrong)];
  try {
    if (value !== '') parseSetting(name as SettingName, value as string, 'config file');
    return [];
  } catch (error) {
    return [toProblem(name, error)];
  }
}

function toProblem(path: string, error: unknown): ConfigProblem {
  if (!(error instanceof ChatError)) throw error;
  return {path, message: [error.message, ...(error.hint?.split('\n') ?? [])].join(' ')};
}

function contentOf(path: string): object {
  const invalid = (problem: string, cause?: unknown) =>
    new ChatError('config_invalid', `The file ${path} ${problem}.`, {
      cause,
      hint: 'It must be a JSON object with a setting by each name; chatctl init writes one.',
    });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw invalid(cause instanceof SyntaxError ? 'is not JSON' : 'cannot be read', cause);
  }
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content;
  throw invalid('is not a JSON object');
}

/** What cannot stand in a file, whatever its value would mean. */
function misfit(name: string, value: unknown): ChatError | undefined {
  if (!isSettingName(name)) {
    return new ChatError('config_invalid', `There is no setting ${name}.`, {
      hint: didYouMean(name, settingNames) ?? 'List them: chatctl config env',
    });
  }
  if (typeof value === 'string') return undefined;
  return new ChatError('config_invalid', `The setting ${name} must be a text, in quotes.`, {hint: meaningOf(name)});
}
