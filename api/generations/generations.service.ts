import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Registry } from '../../contracts/registry.ts';
import type { GenerationSwitch } from '../../contracts/serving.ts';
import type { Switched, SwitchWish } from '../../infra/generations/promote.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { REGISTRY, SWITCHER } from '../ports.ts';
import type { Switcher } from '../ports.ts';

/** Switches to generations that served before, and tells of all switches. */
@Injectable()
export class GenerationsService {
  private readonly registry: Registry;
  private readonly switcher: Switcher;

  constructor(@Inject(REGISTRY) registry: Registry, @Inject(SWITCHER) switcher: Switcher) {
    this.registry = registry;
    this.switcher = switcher;
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

  private async wish(catalogue: string, by: string, reason: string | undefined): Promise<SwitchWish> {
    await requireCatalogue(this.registry.catalogue, catalogue);
    return { catalogue, by, reason: reason ?? null, request: randomUUID() };
  }
}
