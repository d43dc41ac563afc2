import { evaluateQueries } from '../../lib/eval/retrieval.ts';
import type { RetrievalInput } from '../../lib/eval/retrieval.ts';
import { answerTask } from '../shards/answer-task.ts';
import type { MeasuredRetrieval } from './measure-retrieval.ts';

await answerTask<RetrievalInput, MeasuredRetrieval>((input) => Promise.resolve(evaluateQueries(input)));
