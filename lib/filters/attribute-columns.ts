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
  /** Further values of rows whose attribute is a list: row, code, row, code, ... */
  others: number[];
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

  /** Each row once. */
  set(row: number, attributes: JsonObject): void {
    for (const [name, attribute] of Object.entries(attributes)) {
      const [text, ...more] = new Set(textsOf(attribute));
      if (text === undefined) continue;
      const column = this.#column(name);
      column.first[row] = codeIn(column, text);
      for (const each of more) column.others.push(row, codeIn(column, each));
    }
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
    for (let i = 0; i < column.others.length; i += 2) {
      if (isSelected(column.others[i]!)) counts[column.others[i + 1]!]! += 1;
    }
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
    for (let i = 0; i < column.others.length; i += 2) {
      if (met[column.others[i + 1]!] === 1) setBit(rows, column.others[i]!);
    }
    return rows;
  }

  #column(name: string): Column {
    let column = this.#columns.get(name);
    if (column === undefined) {
      column = { codeOf: new Map(), first: new Int32Array(this.#numRows), others: [] };
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
