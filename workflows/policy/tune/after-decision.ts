import { assertNever } from '../../../contracts/errors.ts';
import type { Trial, TuneDecision, TuneState } from '../../../contracts/tuning.ts';

/** The state once a decision is carried out, before anything new is reported. Pure: the given state stays as it is. */
export function afterDecision(state: TuneState, decision: TuneDecision): TuneState {
  const change = (id: number, next: Partial<Trial>): TuneState => ({
    ...state,
    trials: state.trials.map((trial) => (trial.id === id ? { ...trial, ...next } : trial)),
  });
  switch (decision.kind) {
    case 'start': {
      const { trial: id, params, untilEpoch, bracket } = decision;
      const added: Trial = { id, params, status: 'running', untilEpoch, reports: [], failures: 0 };
      return { ...state, trials: [...state.trials, bracket === undefined ? added : { ...added, bracket }] };
    }
    case 'promote':
      return change(decision.trial, { status: 'running', untilEpoch: decision.untilEpoch });
    case 'exploit': {
      const { trial, from, params, untilEpoch } = decision;
      // Reports stay: by what it had until now, the trial was ranked.
      return change(trial, { status: 'running', untilEpoch, params, parent: from });
    }
    case 'stop':
      return change(decision.trial, { status: 'stopped', reason: decision.reason });
    case 'wait':
    case 'finished':
      return state;
    default:
      return assertNever(decision);
  }
}
