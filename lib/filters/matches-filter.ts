import type { AttributeFilter } from '../../contracts/filters.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { meets, textsOf } from './values.ts';

/** Whether an item's attributes are what a filter wants: one item at a time, as `AttributeColumns` finds all of them. */
export function matchesFilter(filter: AttributeFilter, attributes: JsonObject): boolean {
  return Object.entries(filter).every(([name, condition]) =>
    // Own properties alone: an attribute may be called as anything is.
    textsOf(Object.hasOwn(attributes, name) ? attributes[name] : undefined).some(meets(condition)),
  );
}
