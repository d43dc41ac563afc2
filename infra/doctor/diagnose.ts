import { errorMessage } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import type { DoctorCheck, Question } from './check.ts';
import { computeQuestions } from './compute-questions.ts';
import { machineQuestions } from './machine-questions.ts';
import { serviceQuestions } from './service-questions.ts';

export type { DoctorCheck } from './check.ts';

/** Looks at everything the product stands on, changing nothing. Never throws: what cannot be asked is a finding. */
export async function diagnose(config: Config): Promise<DoctorCheck[]> {
  return Promise.all(
    [...machineQuestions(config), ...serviceQuestions(config), ...computeQuestions(config)].map(answer),
  );
}

/** Asks one question. */
export async function answer(question: Question): Promise<DoctorCheck> {
  const { name, why, fix } = question;
  try {
    const verdict = await question.ask();
    return { name, ...verdict, why: verdict.why ?? why };
  } catch (error) {
    return { name, status: 'missing', found: errorMessage(error), why, fix };
  }
}
