import { isIP } from 'node:net';
import { LookalikeError } from '../../contracts/errors.ts';

/** What may be asked for. `*` stands for every public host, `*.example.com` for the hosts below one. */
export interface UrlRules {
  allowedHosts: readonly string[];
  allowAddress: (address: string) => boolean;
}

/**
 * An http(s) URL whose host is allowed. The URL parser has turned decimal, octal and hexadecimal IPv4 forms into plain ones.
 *
 * @throws LookalikeError `invalidInput` for what is no URL, `forbiddenUrl` for one that leads elsewhere
 */
export function checkUrl(text: string, base: URL | undefined, rules: UrlRules): URL {
  const url = URL.parse(text, base?.href);
  if (url === null)
    throw new LookalikeError('invalidInput', `Expected an image URL, got ${JSON.stringify(text.slice(0, 200))}.`);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new LookalikeError(
      'forbiddenUrl',
      `Expected an http or https URL, got one of ${url.protocol} Use a web address.`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new LookalikeError(
      'forbiddenUrl',
      `Expected a URL without user name and password, got one for ${url.hostname}.`,
    );
  }
  if (!rules.allowedHosts.some((rule) => matches(rule.toLowerCase(), url.hostname))) {
    throw new LookalikeError(
      'forbiddenUrl',
      `Expected a host that LOOKALIKE_IMAGE_HOSTS allows, got ${url.hostname}. Add it there to fetch images from it.`,
    );
  }
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0) checkAddress(literal, rules);
  return url;
}

/** @throws LookalikeError `forbiddenUrl` */
export function checkAddress(address: string, rules: Pick<UrlRules, 'allowAddress'>): void {
  if (rules.allowAddress(address)) return;
  throw new LookalikeError('forbiddenUrl', `Expected an image URL to lead to a public address, got ${address}.`);
}

function matches(rule: string, host: string): boolean {
  if (rule === '*') return true;
  return rule.startsWith('*.') ? host.endsWith(rule.slice(1)) : host === rule;
}
