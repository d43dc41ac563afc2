/**
 * Best choice first, by the power of two choices (Mitzenmacher 2001): of two drawn at random the less loaded is asked, so that callers who know the same do
 * not all run to the same host. The others follow, the less loaded first, for when that one fails or is slow. With two hosts that is the less loaded, and a
 * coin where they are equal.
 */
export function rankByTwoChoices<T>(hosts: readonly T[], loadOf: (host: T) => number, random: () => number): T[] {
  if (hosts.length < 2) return [...hosts];
  const first = Math.floor(random() * hosts.length);
  const other = (first + 1 + Math.floor(random() * (hosts.length - 1))) % hosts.length;
  const [a, b] = [hosts[first]!, hosts[other]!];
  const chosen = loadOf(b) < loadOf(a) ? b : a;
  const rest = hosts.filter((host) => host !== chosen).map((host) => ({ host, load: loadOf(host) }));
  return [chosen, ...rest.sort((x, y) => x.load - y.load).map(({ host }) => host)];
}
