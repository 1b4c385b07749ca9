// Settings that were changed in the files of a project while a server runs by them. Looked at by time and not by events of
// the file system: editors put a new file in the place of the old one, and one may not be there yet.
import {unwatchFile, watchFile} from 'node:fs';
import {join} from 'node:path';
import {configFileOf, shownSetting, type Config} from '../config.ts';
import {settingNames, type SettingName} from '../settings.ts';
import type {Cli} from './context.ts';
import {told} from './errors.ts';

const lookIntervalMs = 300;

export interface SettingsWatch {
  /** The settings once they are others. What cannot be used is told, and waits to be mended. */
  changed: Promise<Config>;
  close(): void;
}

export function watchSettings(cli: Cli, before: Config, read: () => Promise<Config>): SettingsWatch {
  const file = cli.globals.config ?? cli.io.env['CHATCTL_CONFIG'];
  const paths = [configFileOf({file, cwd: cli.io.cwd}), join(before.projectDir, '.env')];
  let use: (config: Config) => void = () => undefined;
  const changed = new Promise<Config>(resolve => {
    use = resolve;
  });
  async function lookAgain(): Promise<void> {
    try {
      const after = await read();
      const names = differences(before, after);
      if (names.length === 0) return;
      cli.note(`Changed: ${names.join(', ')}.`);
      use(after);
    } catch (error) {
      cli.note(`The settings were changed and are not used: ${told(error).message}`);
    }
  }
  const look = () => void lookAgain();
  for (const path of paths) watchFile(path, {interval: lookIntervalMs}, look);
  return {
    changed,
    close() {
      for (const path of paths) unwatchFile(path, look);
    },
  };
}

function differences(before: Config, after: Config): SettingName[] {
  return settingNames.filter(name => shownSetting(before, name, true) !== shownSetting(after, name, true));
}
