import { Inject, Injectable } from '@nestjs/common';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Registry } from '../../contracts/registry.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { REGISTRY, TUNER } from '../ports.ts';
import type { RetrainStarted, TuneWish, TuneStatus, Tuner } from '../ports.ts';

/** Starts, follows and stops searches for hyper-parameters. */
@Injectable()
export class TuningService {
  private readonly registry: Registry;
  private readonly tuner: Tuner;

  constructor(@Inject(REGISTRY) registry: Registry, @Inject(TUNER) tuner: Tuner) {
    this.registry = registry;
    this.tuner = tuner;
  }

  async start(catalogue: string, wish: TuneWish): Promise<RetrainStarted> {
    await requireCatalogue(this.registry.catalogue, catalogue);
    return await this.tuner.start(catalogue, wish);
  }

  /** Null where nothing was ever tuned. @throws LookalikeError `notFound` for a catalogue that is not */
  async newest(catalogue: string): Promise<TuneStatus | null> {
    const status = await this.tuner.status(catalogue);
    if (status === undefined) await requireCatalogue(this.registry.catalogue, catalogue);
    return status ?? null;
  }

  /** @throws LookalikeError `notFound` when there is no search to stop */
  async cancel(catalogue: string): Promise<TuneStatus> {
    const { status } = await this.existing(catalogue);
    if (status === 'running') await this.tuner.cancel(catalogue);
    return await this.existing(catalogue);
  }

  private async existing(catalogue: string): Promise<TuneStatus> {
    const status = await this.newest(catalogue);
    if (status !== null) return status;
    throw new LookalikeError('notFound', `Catalogue "${catalogue}" has no search yet: start one with POST.`);
  }
}
