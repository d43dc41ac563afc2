/** The front door of the filters for who may not see `lib`. */
export { matchesFilter as matches } from '../../lib/filters/matches-filter.ts';
