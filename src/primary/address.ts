// Addresses that a setting must not lead to by mistake or by a bent name server: link-local ones, where clouds keep their
// metadata with credentials in it.
import {lookup as lookUpName, type LookupAddress} from 'node:dns';
import {BlockList, isIP, type LookupFunction} from 'node:net';

const refused = new BlockList();
refused.addSubnet('169.254.0.0', 16, 'ipv4');
refused.addSubnet('fe80::', 10, 'ipv6');
/** The same through NAT64, and metadata services that live elsewhere. */
refused.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
refused.addAddress('fd00:ec2::254', 'ipv6');
refused.addAddress('100.100.100.200', 'ipv4');
refused.addAddress('192.0.0.192', 'ipv4');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether this is written out as an address of that kind; a name is none until it is looked up. */
export function isRefusedHost(hostname: string): boolean {
  return isIn(refused, hostname);
}

export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || isIn(loopback, hostname);
}

function isIn(list: BlockList, hostname: string): boolean {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Looks a name up as Node does, and refuses it when one of its addresses is refused. What is answered is connected to. */
export const lookUpAllowed: LookupFunction = (hostname, options, callback) => {
  lookUpName(hostname, {...options, all: true}, (error, addresses: LookupAddress[]) => {
    if (error) return callback(error, '');
    if (addresses.some(({address}) => isRefusedHost(address))) {
      return callback(new Error(`${hostname} leads to a link-local or metadata address`), '');
    }
    const [first] = addresses;
    if (options.all) callback(null, addresses);
    else callback(null, first?.address ?? '', first?.family);
  });
};
