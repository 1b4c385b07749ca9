// On a network file system locks and memory maps do not hold what SQLite builds on: a database there breaks one day.
import {statfsSync} from 'node:fs';
import {dirname} from 'node:path';
import {ChatError} from '../core/errors.ts';
import type {DatabaseTarget} from './connect.ts';

/** As statfs(2) of Linux tells them. Elsewhere none of these numbers comes up, and nothing is refused. */
const networkTypes: Record<number, string> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xfe534d42: 'SMB2',
  0xff534d42: 'CIFS',
  0x5346414f: 'AFS',
  0x00c36400: 'Ceph',
  0x01021997: '9P',
};

/** Throws config_invalid for a SQLite file that is not on a disk of this machine. */
export function mustBeOnLocalDisk(target: DatabaseTarget, typeOf: (path: string) => number = fileSystemType): void {
  if (target.dialect !== 'sqlite') return;
  const name = networkTypes[typeOf(dirname(target.path)) >>> 0];
  if (name === undefined) return;
  throw new ChatError('config_invalid', `The database ${target.path} is on a network file system (${name}).`, {
    hint: 'Use a local disk, or PostgreSQL.',
  });
}

function fileSystemType(path: string): number {
  try {
    return statfsSync(path).type;
  } catch {
    // A folder that is not there yet is made, or refused, by whoever opens the database.
    return 0;
  }
}
