import { ApplicationFailure } from '@temporalio/activity';

/** What fakes demand of every reference. */
export function expectKind(artifact: string, kind: string): void {
  if (!artifact.startsWith(`${kind}-`)) {
    throw ApplicationFailure.nonRetryable(`Expected an artefact of kind ${kind}, got ${artifact}.`, 'invalidInput');
  }
}
