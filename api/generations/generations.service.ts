import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { GenerationSwitch } from '../../contracts/serving.ts';
import type { LineageNode } from '../../infra/artifacts/lineage.ts';
import type { Switched, SwitchWish } from '../../infra/generations/promote.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { LINEAGE, REGISTRY, SWITCHER } from '../ports.ts';
import type { Lineage, Switcher } from '../ports.ts';

/** Switches to generations that served before, and tells of all switches. */
@Injectable()
export class GenerationsService {
  private readonly registry: Registry;
  private readonly switcher: Switcher;
  private readonly lineages: Lineage;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(SWITCHER) switcher: Switcher,
    @Inject(LINEAGE) lineages: Lineage,
  ) {
    this.registry = registry;
    this.switcher = switcher;
    this.lineages = lineages;
  }

  async promote(catalogue: string, generation: number, by: string, reason?: string): Promise<Switched> {
    return this.switcher.promote(await this.wish(catalogue, by, reason), generation);
  }

  async rollBack(catalogue: string, to: number | undefined, by: string, reason?: string): Promise<Switched> {
    return this.switcher.rollBack(await this.wish(catalogue, by, reason), to ?? null);
  }

  /** Newest first. */
  async switches(catalogue: string): Promise<GenerationSwitch[]> {
    const switches = await this.registry.generations.switches(catalogue);
    if (switches.length === 0) await requireCatalogue(this.registry.catalogue, catalogue);
    return switches.toReversed();
  }

  /** What a generation's artefacts were made from; what it was compared with comes last. */
  async lineage(catalogue: string, number: number): Promise<LineageNode[]> {
    const generation = await this.registry.generations.get(catalogue, number);
    if (generation === undefined) {
      throw new LookalikeError('notFound', `Expected a generation of catalogue "${catalogue}", got number ${number}.`);
    }
    const { index, embeddings, model, snapshot, metrics } = generation;
    const roots = Object.entries({ index, embeddings, model, snapshot, comparison: metrics.comparison });
    return this.lineages(roots.flatMap(([role, id]) => (typeof id === 'string' ? [[role, id] as const] : [])));
  }

  private async wish(catalogue: string, by: string, reason: string | undefined): Promise<SwitchWish> {
    await requireCatalogue(this.registry.catalogue, catalogue);
    return { catalogue, by, reason: reason ?? null, request: randomUUID() };
  }
}
