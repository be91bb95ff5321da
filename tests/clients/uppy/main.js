// What somebody else's page does to send recordings here, with Uppy's own multipart upload.
import AwsS3 from '@uppy/aws-s3';
import Uppy from '@uppy/core';

const query = new URLSearchParams(location.search);
const api = query.get('api');
const headers = { Authorization: `Bearer ${query.get('token')}`, 'Content-Type': 'application/json' };

async function ask(method, path, body) {
  const answer = await fetch(api + path, { method, headers, body: body && JSON.stringify(body) });
  const { data, error } = await answer.json();
  if (error) throw new Error(error.message);
  return data;
}

const uppy = new Uppy({ autoProceed: true });
uppy.use(AwsS3, {
  shouldUseMultipart: true,
  getChunkSize: () => Number(query.get('part')),
  async createMultipartUpload(file) {
    const asked = { filename: file.name, size_bytes: file.size, content_type: file.type };
    const { recording } = await ask('POST', '/api/recordings', asked);
    return { uploadId: recording.id, key: recording.id };
  },
  async signPart(_file, { uploadId, partNumber }) {
    return await ask('POST', `/api/recordings/${uploadId}/parts/${partNumber}/sign`);
  },
  async listParts(_file, { uploadId }) {
    const { parts } = await ask('GET', `/api/recordings/${uploadId}/parts`);
    return parts.map((part) => ({ PartNumber: part.number, ETag: part.etag, Size: part.size_bytes }));
  },
  async completeMultipartUpload(_file, { uploadId, parts }) {
    const tags = parts.map((part) => ({ number: part.PartNumber, etag: part.ETag }));
    await ask('POST', `/api/recordings/${uploadId}/complete`, { parts: tags });
    return {};
  },
  async abortMultipartUpload(_file, { uploadId }) {
    await ask('DELETE', `/api/recordings/${uploadId}`);
  },
});
uppy.on('complete', ({ successful, failed }) => {
  const [problem] = failed;
  document.querySelector('output').textContent = problem
    ? `failed: ${problem.error}`
    : `sent ${successful.length}`;
});
document.querySelector('input').addEventListener('change', (event) => {
  for (const file of event.target.files) uppy.addFile({ name: file.name, type: file.type, data: file });
});
