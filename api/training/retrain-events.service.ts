import { Inject, Injectable } from '@nestjs/common';
import type { MessageEvent } from '@nestjs/common';
import {
  Observable,
  catchError,
  concat,
  defer,
  distinctUntilChanged,
  exhaustMap,
  finalize,
  from,
  map,
  merge,
  of,
  share,
  takeUntil,
  timer,
} from 'rxjs';
import { LookalikeError, isLookalikeError } from '../../contracts/errors.ts';
import { Lifecycle } from '../health/lifecycle.service.ts';
import { SETTINGS } from '../ports.ts';
import { toProblem } from '../problem.ts';
import type { ApiLimits, ApiSettings } from '../settings.ts';
import { TrainingService } from './training.service.ts';

const KEEP_ALIVE_MS = 15_000;

/** Live news of retraining runs. However many follow a catalogue, Temporal is asked once per interval. */
@Injectable()
export class RetrainEventsService {
  private readonly training: TrainingService;
  private readonly lifecycle: Lifecycle;
  private readonly limits: ApiLimits;
  /** By catalogue, while somebody follows it. */
  private readonly shared = new Map<string, Observable<MessageEvent>>();
  private numFollowers = 0;

  /** How many catalogues are looked at now. */
  get numFollowed(): number {
    return this.shared.size;
  }

  constructor(
    @Inject(TrainingService) training: TrainingService,
    @Inject(Lifecycle) lifecycle: Lifecycle,
    @Inject(SETTINGS) settings: ApiSettings,
  ) {
    this.training = training;
    this.lifecycle = lifecycle;
    this.limits = settings.limits;
  }

  /**
   * Events `status` (a RetrainStatus, only when it changed), `problem` (why there is none now) and `ping`. Ends when the
   * server shuts down.
   * @throws LookalikeError `overloaded`
   */
  follow(catalogue: string): Observable<MessageEvent> {
    if (this.numFollowers >= this.limits.eventStreams) {
      const limit = this.limits.eventStreams;
      throw new LookalikeError('overloaded', `Expected at most ${limit} followers at once; poll …/retrain instead.`);
    }
    return new Observable<MessageEvent>((subscriber) => {
      this.numFollowers++;
      const pings = timer(KEEP_ALIVE_MS, KEEP_ALIVE_MS).pipe(map(() => ({ type: 'ping', data: {} })));
      const events = merge(this.news(catalogue), pings).pipe(takeUntil(this.lifecycle.draining));
      subscriber.add(() => this.numFollowers--);
      subscriber.add(events.subscribe(subscriber));
    });
  }

  /** Each new follower begins with the present state, whoever listens already. */
  private news(catalogue: string): Observable<MessageEvent> {
    // Deferred: who leaves before the first look has ended never joins, and must leave no entry either.
    const changes = defer(() => {
      const sharedNews = this.shared.get(catalogue) ?? this.poll(catalogue);
      this.shared.set(catalogue, sharedNews);
      return sharedNews;
    });
    return concat(this.look(catalogue), changes).pipe(distinctUntilChanged((a, b) => sameNews(a, b)));
  }

  private poll(catalogue: string): Observable<MessageEvent> {
    const { eventIntervalMs } = this.limits;
    return timer(eventIntervalMs, eventIntervalMs).pipe(
      exhaustMap(() => this.look(catalogue)),
      distinctUntilChanged(sameNews),
      // Names are what callers ask for: one that nobody follows any more must not stay.
      finalize(() => this.shared.delete(catalogue)),
      share(),
    );
  }

  private look(catalogue: string): Observable<MessageEvent> {
    return from(this.training.status(catalogue)).pipe(
      map((status) => ({ type: 'status', data: status })),
      catchError((error: unknown) => {
        if (!isLookalikeError(error)) throw error;
        return of({ type: 'problem', data: toProblem(error, '') });
      }),
    );
  }
}

function sameNews(a: MessageEvent, b: MessageEvent): boolean {
  return a.type === b.type && JSON.stringify(a.data) === JSON.stringify(b.data);
}
