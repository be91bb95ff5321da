/** One part of an upload on its way to storage. */

/** Storage refused the part: its address has expired, or it is not what was announced. */
export class RefusedError extends Error {
  constructor(readonly status: number) {
    super(`storage answered ${status}`);
  }
}

/** PUT bytes to an address. XMLHttpRequest, since `fetch` does not say how much has gone. RefusedError, TypeError. */
export function sendPart(
  url: string,
  bytes: Blob,
  { onProgress, signal }: { onProgress: (sent: number) => void; signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = (): void => {
      request.abort();
    };
    const settle = (act: () => void) => () => {
      signal.removeEventListener('abort', abort);
      act();
    };
    request.open('PUT', url);
    request.upload.onprogress = (event) => {
      onProgress(event.loaded);
    };
    request.onload = settle(() => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(new RefusedError(request.status));
    });
    request.onerror = settle(() => {
      reject(new TypeError('the network failed'));
    });
    request.onabort = settle(() => {
      reject(new DOMException('aborted', 'AbortError'));
    });
    signal.addEventListener('abort', abort, { once: true });
    request.send(bytes);
  });
}
