import test from 'ava';
import {parseDatabaseUrl} from '../../src/db/connect.ts';
import {mustBeOnLocalDisk} from '../../src/db/file-system.ts';

test('T24, G10: a SQLite file on a network file system is refused by its name', t => {
  const target = parseDatabaseUrl('sqlite:/mnt/share/chat.db');
  for (const [type, name] of [
    [0x6969, 'NFS'],
    [0xff534d42, 'CIFS'],
    [0xff534d42 | 0, 'CIFS'],
    [0x01021997, '9P'],
  ] as const) {
    t.throws(() => mustBeOnLocalDisk(target, () => type), {code: 'config_invalid', message: new RegExp(name)});
  }
  t.notThrows(() => mustBeOnLocalDisk(target, () => 0xef53));
  t.notThrows(() => mustBeOnLocalDisk(target), 'a folder that is not there is nobody’s network');
  t.notThrows(() => mustBeOnLocalDisk(parseDatabaseUrl('postgres://host/chat'), () => 0x6969));
});
