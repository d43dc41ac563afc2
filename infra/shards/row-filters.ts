import { LookalikeError } from '../../contracts/errors.ts';
import type { AttributeFilter } from '../../contracts/filters.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { createBitmap, hasBit, setBit } from '../../lib/ann/bitmap.ts';
import { AttributeColumns } from '../../lib/filters/attribute-columns.ts';

export interface RowLabels {
  category: string | null;
  /** What may be filtered by; absent where the shard was built before items were. */
  attributes?: JsonObject;
}

/**
 * What the rows of a shard are filtered by. The one part of a shard that may change: an item keeps its row, and its vector, when its price or
 * its category changes.
 */
export class RowFilters {
  readonly #categories: (string | null)[] = [];
  readonly #byCategory = new Map<string, number[]>();
  /** Undefined where the shard was built before attributes were kept. */
  #attributes: AttributeColumns | undefined;

  /** @param numRows how many will be added */
  constructor(numRows: number) {
    this.#attributes = new AttributeColumns(numRows);
  }

  /** In row order. */
  get categories(): readonly (string | null)[] {
    return this.#categories;
  }

  /** The next row. */
  add({ category, attributes }: RowLabels): void {
    const row = this.#categories.push(category) - 1;
    this.#join(row, category);
    if (attributes === undefined) this.#attributes = undefined;
    else this.#attributes?.set(row, attributes);
  }

  /** What a row is now. */
  replace(row: number, { category, attributes }: Required<RowLabels>): void {
    this.#attributes?.replace(row, attributes);
    const before = this.#categories[row]!;
    if (before === category) return;
    this.#categories[row] = category;
    const rows = before === null ? undefined : this.#byCategory.get(before);
    rows?.splice(rows.indexOf(row), 1);
    this.#join(row, category);
  }

  /** A bitmap of its own; undefined: all rows. @throws LookalikeError `conflict` when there are no attributes to filter by */
  select(category: string | undefined, filter: AttributeFilter | undefined): Uint32Array | undefined {
    const inCategory = category === undefined ? undefined : this.#rowsOf(category);
    if (filter === undefined || Object.keys(filter).length === 0) return inCategory;
    const selected = this.#kept().select(filter);
    return inCategory === undefined ? selected : selected.map((word, i) => word & inCategory[i]!);
  }

  /**
   * In the order asked, how many of the rows (absent: of all) have each value of `category` or of an attribute.
   * @throws LookalikeError `conflict` when there are no attributes
   */
  count(names: readonly string[], rows: Uint32Array | undefined): [value: string, count: number][][] {
    return names.map((name) => (name === 'category' ? this.#countCategories(rows) : this.#kept().count(name, rows)));
  }

  #countCategories(allowed: Uint32Array | undefined): [value: string, count: number][] {
    return [...this.#byCategory].map(([category, rows]) => [
      category,
      allowed === undefined ? rows.length : rows.filter((row) => hasBit(allowed, row)).length,
    ]);
  }

  #kept(): AttributeColumns {
    if (this.#attributes !== undefined) return this.#attributes;
    const message =
      'Expected the shard to hold attributes, but it was built before they were kept. Run `lookalike retrain`.';
    throw new LookalikeError('conflict', message);
  }

  #rowsOf(category: string): Uint32Array {
    const bitmap = createBitmap(this.#categories.length);
    for (const row of this.#byCategory.get(category) ?? []) setBit(bitmap, row);
    return bitmap;
  }

  #join(row: number, category: string | null): void {
    if (category === null) return;
    const rows = this.#byCategory.get(category);
    if (rows === undefined) this.#byCategory.set(category, [row]);
    else rows.push(row);
  }
}
