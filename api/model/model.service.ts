import { Inject, Injectable } from '@nestjs/common';
import { LookalikeError } from '../../contracts/errors.ts';
import { PRECISIONS } from '../../contracts/model.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { DeviceFile, DeviceModel } from '../../infra/variants/device-models.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { DEVICE_MODELS, REGISTRY, SEARCHER } from '../ports.ts';
import type { ApiPorts, Searcher } from '../ports.ts';
import { ValidationError } from '../validation.ts';

/** Hands the model that serves to devices that embed pictures themselves. */
@Injectable()
export class ModelService {
  private readonly registry: Registry;
  private readonly searcher: Searcher;
  private readonly models: ApiPorts['deviceModels'];

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(DEVICE_MODELS) models: ApiPorts['deviceModels'],
  ) {
    this.registry = registry;
    this.searcher = searcher;
    this.models = models;
  }

  /** @throws LookalikeError `notFound` | `unavailable` while nothing serves */
  async describe(catalogue: string): Promise<DeviceModel & { files: (DeviceFile & { url: string })[] }> {
    const { model, snapshot } = await this.serving(catalogue);
    const found = await this.models.of(model, snapshot);
    const base = `/v1/catalogues/${encodeURIComponent(catalogue)}/model`;
    return {
      ...found,
      files: found.files.map((file) => ({ ...file, url: `${base}/${file.precision}?v=${file.sha256}` })),
    };
  }

  /** @throws ValidationError | LookalikeError `notFound` no such variant */
  async open(catalogue: string, name: string): Promise<{ path: string; file: DeviceFile }> {
    const precision = PRECISIONS.find((known) => known === name);
    if (precision === undefined) {
      throw new ValidationError([{ field: 'precision', expected: `one of ${PRECISIONS.join(', ')}`, got: name }]);
    }
    const { model, snapshot } = await this.serving(catalogue);
    return this.models.open(model, snapshot, precision);
  }

  private async serving(catalogue: string): Promise<{ model: string; snapshot: string }> {
    const table = await this.searcher.currentTable(catalogue);
    const generation = table && (await this.registry.generations.get(catalogue, table.generation));
    if (table !== undefined && generation !== undefined) return { model: table.model, snapshot: generation.snapshot };
    await requireCatalogue(this.registry.catalogue, catalogue);
    throw new LookalikeError(
      'unavailable',
      `No generation of "${catalogue}" serves yet: run a retrain and wait for it.`,
    );
  }
}
