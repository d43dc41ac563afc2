import { Inject, Injectable } from '@nestjs/common';
import type { Registry } from '../../contracts/registry.ts';
import type { RetrainSchedule, ScheduleTrigger } from '../../contracts/schedules.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { REGISTRY, SCHEDULER } from '../ports.ts';
import type { ScheduleAction, ScheduleRequest, Scheduler } from '../ports.ts';

/** Schedules of catalogues that there are. */
@Injectable()
export class SchedulesService {
  private readonly registry: Registry;
  private readonly scheduler: Scheduler;

  constructor(@Inject(REGISTRY) registry: Registry, @Inject(SCHEDULER) scheduler: Scheduler) {
    this.registry = registry;
    this.scheduler = scheduler;
  }

  async list(catalogue: string): Promise<RetrainSchedule[]> {
    await requireCatalogue(this.registry.catalogue, catalogue);
    return this.scheduler.list(catalogue);
  }

  async set(catalogue: string, request: ScheduleRequest): Promise<{ id: string; created: boolean }> {
    await requireCatalogue(this.registry.catalogue, catalogue);
    return this.scheduler.set(catalogue, request);
  }

  async act(catalogue: string, trigger: ScheduleTrigger, action: ScheduleAction, by: string): Promise<void> {
    await requireCatalogue(this.registry.catalogue, catalogue);
    await this.scheduler.act(catalogue, trigger, action, by);
  }

  /** Also of a catalogue that is gone. */
  async remove(catalogue: string, trigger: ScheduleTrigger): Promise<void> {
    await this.scheduler.remove(catalogue, trigger);
  }
}
