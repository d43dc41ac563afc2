import type { RoutingTable } from '../../contracts/serving.ts';
import type { QueryVector } from './query-vector.service.ts';

/**
 * A query's vector, made at most once for each generation. The invariant: a vector is only ever given to the generation that it
 * was made for, because it means nothing to another model.
 */
export class QueryVectorOnce {
  /** Stages of the newest making. */
  timingsMs: QueryVector['timingsMs'] = {};
  /** What the crop of the query meant in its picture. */
  crop: QueryVector['crop'];
  /** All the time spent in making. */
  spentMs = 0;
  private readonly make: (table: RoutingTable) => Promise<QueryVector>;
  private made: { generation: number; vector: Float32Array } | undefined;

  constructor(make: (table: RoutingTable) => Promise<QueryVector>) {
    this.make = make;
  }

  async for(table: RoutingTable): Promise<Float32Array> {
    if (this.made?.generation !== table.generation) {
      const started = performance.now();
      const { vector, timingsMs, crop } = await this.make(table);
      this.spentMs += performance.now() - started;
      this.timingsMs = timingsMs;
      this.crop = crop;
      this.made = { generation: table.generation, vector };
    }
    return this.made.vector;
  }

  /** The one that the generation was asked with; undefined if it was not. */
  given({ generation }: Pick<RoutingTable, 'generation'>): Float32Array | undefined {
    return this.made?.generation === generation ? this.made.vector : undefined;
  }
}
