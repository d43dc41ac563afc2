import { ApplicationFailure, defaultPayloadConverter } from '@temporalio/common';
import type { Payload, PayloadConverter } from '@temporalio/common';

/**
 * Payloads are references and small JSON. The server's own limits bite late and badly (a 4 MB result hangs until its timeout),
 * so anything above this is refused where it is made, in workflow, activity and client alike.
 */
export const MAX_PAYLOAD_BYTES = 64 * 1024;

/** JSON as usual, with a size limit. Loaded by the SDK by its path, also into the workflow bundle. */
export const payloadConverter: PayloadConverter = {
  toPayload(value, context, hint): Payload {
    const payload = defaultPayloadConverter.toPayload(value, context, hint);
    const sizeBytes = payload.data?.length ?? 0;
    if (sizeBytes > MAX_PAYLOAD_BYTES) {
      throw ApplicationFailure.nonRetryable(
        `Expected a payload of at most ${MAX_PAYLOAD_BYTES} bytes, got ${sizeBytes}. Store it as an artefact and pass its id.`,
        'invalidInput',
      );
    }
    return payload;
  },
  fromPayload: (payload, context, hint) => defaultPayloadConverter.fromPayload(payload, context, hint),
};
