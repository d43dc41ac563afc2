import type { RetrievalQuality } from '../../contracts/training.ts';
import { evaluateRetrieval } from '../../lib/eval/retrieval.ts';
import type { RetrievalInput } from '../../lib/eval/retrieval.ts';
import { answerTask } from '../shards/answer-task.ts';

await answerTask<RetrievalInput, RetrievalQuality>((input) => Promise.resolve(evaluateRetrieval(input)));
