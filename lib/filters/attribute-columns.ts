import type { AttributeFilter, Condition } from '../../contracts/filters.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { createBitmap, hasBit, setBit } from '../ann/bitmap.ts';
import { meets, textsOf } from './values.ts';

/** One attribute of all rows: which texts there are, and which of them each row has. */
interface Column {
  /** Codes from 1 on, in the order of appearance. */
  codeOf: Map<string, number>;
  /** By row, the code of its first value; 0: none. */
  first: Int32Array;
  /** By row, the codes of further values, where its attribute is a list. */
  others: Map<number, number[]>;
}

/**
 * The attributes of a shard's rows, by column. Invariant: a condition is decided once for each distinct value, and looked up for each
 * row, so that a filter costs a pass over 4 bytes a row and attribute, whatever the attributes hold.
 */
export class AttributeColumns {
  readonly #numRows: number;
  readonly #columns = new Map<string, Column>();

  constructor(numRows: number) {
    this.#numRows = numRows;
  }

  /** Each row once; then `replace`. */
  set(row: number, attributes: JsonObject): void {
    for (const [name, attribute] of Object.entries(attributes)) {
      const [text, ...more] = new Set(textsOf(attribute));
      if (text === undefined) continue;
      const column = this.#column(name);
      column.first[row] = codeIn(column, text);
      if (more.length > 0)
        column.others.set(
          row,
          more.map((each) => codeIn(column, each)),
        );
    }
  }

  /** Another item's attributes for a row, or the same item's as they are now. */
  replace(row: number, attributes: JsonObject): void {
    for (const column of this.#columns.values()) {
      column.first[row] = 0;
      column.others.delete(row);
    }
    this.set(row, attributes);
  }

  /** The rows that meet all conditions, as a bitmap. */
  select(filter: AttributeFilter): Uint32Array {
    const selected = createBitmap(this.#numRows).fill(0xffff_ffff);
    for (const [name, condition] of Object.entries(filter)) {
      const met = this.#rowsThat(name, condition);
      for (let i = 0; i < selected.length; i++) selected[i]! &= met[i]!;
    }
    // Bits past the last row belong to no row.
    const rest = this.#numRows & 31;
    if (rest !== 0) selected[selected.length - 1]! &= (1 << rest) - 1;
    return selected;
  }

  /** How many of the `selected` rows (absent: of all) have each value of an attribute. */
  count(name: string, selected?: Uint32Array): [value: string, count: number][] {
    const column = this.#columns.get(name);
    if (column === undefined) return [];
    const counts = new Int32Array(column.codeOf.size + 1);
    const isSelected = (row: number): boolean => selected === undefined || hasBit(selected, row);
    for (let row = 0; row < this.#numRows; row++) if (isSelected(row)) counts[column.first[row]!]! += 1;
    for (const [row, codes] of column.others) if (isSelected(row)) for (const code of codes) counts[code]! += 1;
    return [...column.codeOf].map(([text, code]) => [text, counts[code]!]);
  }

  #rowsThat(name: string, condition: Condition): Uint32Array {
    const rows = createBitmap(this.#numRows);
    const column = this.#columns.get(name);
    if (column === undefined) return rows;
    const isMet = meets(condition);
    const met = new Uint8Array(column.codeOf.size + 1);
    for (const [text, code] of column.codeOf) met[code] = isMet(text) ? 1 : 0;
    for (let row = 0; row < this.#numRows; row++) if (met[column.first[row]!] === 1) setBit(rows, row);
    for (const [row, codes] of column.others) if (codes.some((code) => met[code] === 1)) setBit(rows, row);
    return rows;
  }

  #column(name: string): Column {
    let column = this.#columns.get(name);
    if (column === undefined) {
      column = { codeOf: new Map(), first: new Int32Array(this.#numRows), others: new Map() };
      this.#columns.set(name, column);
    }
    return column;
  }
}

function codeIn({ codeOf }: Column, text: string): number {
  let code = codeOf.get(text);
  if (code === undefined) {
    code = codeOf.size + 1;
    codeOf.set(text, code);
  }
  return code;
}
