/** One finding about this machine or installation. */
export interface DoctorCheck {
  name: string;
  /** `warning`: works, but slower or with less than it could. `missing`: something will fail without it. */
  status: 'ok' | 'warning' | 'missing';
  /** What is there. */
  found: string;
  /** What it is for, or why this one was chosen. */
  why: string;
  /** The command or setting that mends it; null when nothing needs mending. */
  fix: string | null;
}

type Verdict = Omit<DoctorCheck, 'name' | 'why'> & { why?: string };

/** A named question about this machine; one that throws has found the thing missing. */
export interface Question {
  name: string;
  why: string;
  /** The fix when asking itself fails. */
  fix: string;
  ask(): Promise<Verdict>;
}

export const ok = (found: string, why?: string): Verdict => ({ status: 'ok', found, why, fix: null });
export const warning = (found: string, fix: string, why?: string): Verdict => ({ status: 'warning', found, why, fix });
export const missing = (found: string, fix: string, why?: string): Verdict => ({ status: 'missing', found, why, fix });
