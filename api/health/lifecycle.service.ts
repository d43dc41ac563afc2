import { Injectable } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import { Subject } from 'rxjs';

/** Whether this process still takes work. The invariant: once draining it never goes back. */
@Injectable()
export class Lifecycle implements OnModuleDestroy {
  /** Emits once, when shutdown begins: open streams end then. */
  readonly draining = new Subject<void>();
  private shuttingDown = false;

  get isShuttingDown(): boolean {
    return this.shuttingDown;
  }

  /** Streams must end before the server waits for its connections. */
  onModuleDestroy(): void {
    this.beginShutdown();
  }

  beginShutdown(): void {
    if (this.shuttingDown) return;
    this.shuttingDown = true;
    this.draining.next();
    this.draining.complete();
  }
}
