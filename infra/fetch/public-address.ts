import ipaddr from 'ipaddr.js';

/** Reachable by their address range as if public, yet a cloud's own control plane. */
const CONTROL_PLANES = ['168.63.129.16'];

/**
 * Whether an IP address belongs to the public internet: not private, loopback, link-local (cloud metadata), multicast,
 * reserved, nor an IPv6 form that carries such an IPv4 address.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  // `process` turns ::ffff:a.b.c.d into a.b.c.d.
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast' || CONTROL_PLANES.includes(parsed.toString())) return false;
  // ::a.b.c.d, the abandoned IPv4-compatible form, counts as unicast.
  return !(parsed instanceof ipaddr.IPv6) || parsed.parts.slice(0, 6).some((part) => part !== 0);
}
