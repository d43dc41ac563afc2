import { Inject, Injectable } from '@nestjs/common';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { Generation } from '../../contracts/serving.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { REGISTRY, RETRAINER } from '../ports.ts';
import type { RetrainRequest, RetrainStarted, RetrainStatus, Retrainer } from '../ports.ts';

/** Starts and follows retraining, and says what came of it. */
@Injectable()
export class TrainingService {
  private readonly registry: Registry;
  private readonly retrainer: Retrainer;

  constructor(@Inject(REGISTRY) registry: Registry, @Inject(RETRAINER) retrainer: Retrainer) {
    this.registry = registry;
    this.retrainer = retrainer;
  }

  async start(catalogue: string, request: RetrainRequest, by: string): Promise<RetrainStarted> {
    await requireCatalogue(this.registry.catalogue, catalogue);
    return await this.retrainer.start(catalogue, request, by);
  }

  /** @throws LookalikeError `notFound` when there is no run to tell of */
  async status(catalogue: string): Promise<RetrainStatus> {
    const status = await this.retrainer.status(catalogue);
    if (status !== undefined) return status;
    await requireCatalogue(this.registry.catalogue, catalogue);
    throw new LookalikeError('notFound', `Catalogue "${catalogue}" has no retraining run yet: start one with POST.`);
  }

  recipes(): ReturnType<Retrainer['recipes']> {
    return this.retrainer.recipes();
  }

  /** Newest first. */
  async generations(catalogue: string): Promise<Generation[]> {
    const generations = await this.registry.generations.list(catalogue);
    if (generations.length === 0) await requireCatalogue(this.registry.catalogue, catalogue);
    return generations.toSorted((a, b) => b.number - a.number);
  }

  async generation(catalogue: string, number: number): Promise<Generation> {
    const generation = await this.registry.generations.get(catalogue, number);
    if (generation !== undefined) return generation;
    await requireCatalogue(this.registry.catalogue, catalogue);
    throw new LookalikeError('notFound', `Expected a generation of catalogue "${catalogue}", got number ${number}.`);
  }
}
