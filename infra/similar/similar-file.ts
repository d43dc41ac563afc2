import Database from 'better-sqlite3';
import type { SimilarList, SimilarSummary } from '../../contracts/similar.ts';
import { decodeNeighbours, encodeNeighbours } from './neighbour-file.ts';
import type { Neighbour } from './neighbour-file.ts';

/** The file of a `similarItems` artefact: one table, by row and by id. */
export const SIMILAR_FILE = 'similar.sqlite';

/** A group can be a whole catalogue of blank pictures; nobody reads on after this many. */
const MAX_DUPLICATES = 100;

export interface SimilarRow {
  row: number;
  id: string;
  /** The lowest row of its group of near-duplicates: its own when it has none. */
  group: number;
  isWhole: boolean;
  neighbours: Neighbour[];
}

/** Writes the rows, in one transaction, into a new file; the same rows make the same bytes. */
export async function writeSimilarFile(path: string, rows: AsyncIterable<SimilarRow>): Promise<void> {
  const db = new Database(path);
  try {
    // Nobody reads the file before it is whole, and a run that dies starts it anew.
    db.pragma('journal_mode = OFF');
    db.pragma('synchronous = OFF');
    db.exec(
      'create table items (row integer primary key, id text not null, grp integer not null, whole integer not null, neighbours blob not null)',
    );
    const insert = db.prepare('insert into items values (?, ?, ?, ?, ?)');
    db.exec('begin');
    for await (const { row, id, group, isWhole, neighbours } of rows) {
      insert.run(row, id, group, isWhole ? 1 : 0, encodeNeighbours([neighbours], neighbours.length));
    }
    db.exec('create unique index items_by_id on items (id)');
    db.exec('create index items_by_group on items (grp)');
    db.exec('commit');
  } finally {
    db.close();
  }
}

/** Looks lists up in a finished file. */
export interface SimilarFile {
  /** Undefined when the index held no such item. */
  lookup(id: string): SimilarList | undefined;
  close(): void;
}

export function openSimilarFile(path: string, { k, withinCategory }: SimilarSummary): SimilarFile {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  const byId = db.prepare<[string], { row: number; grp: number; whole: number; neighbours: Uint8Array }>(
    'select row, grp, whole, neighbours from items where id = ?',
  );
  const idOf = db.prepare<[number], { id: string }>('select id from items where row = ?');
  const inGroup = db.prepare<[number, number, number], { id: string }>(
    'select id from items where grp = ? and row <> ? order by row limit ?',
  );
  return {
    lookup(id) {
      const found = byId.get(id);
      if (found === undefined) return undefined;
      return {
        k,
        withinCategory,
        isWhole: found.whole === 1,
        neighbours: decodeNeighbours(found.neighbours).map(({ row, score }) => ({ id: idOf.get(row)!.id, score })),
        nearDuplicates: inGroup.all(found.grp, found.row, MAX_DUPLICATES).map((item) => item.id),
      };
    },
    close: () => db.close(),
  };
}
