import { expect, it } from 'vitest';
import { chapters, csv, edl, type Named } from './exports';

const moment = (start_s: number, end_s: number, title: string): Named => ({
  start_s,
  end_s,
  title,
  score: 0.9123,
  kind: 'humor',
  reasons: 'louder, "sudden"',
});
const ITEMS = [moment(3661.5, 3671, 'Late'), moment(10, 20.04, '=SUM(A1)')];

it('writes values that a spreadsheet reads as what they are', () => {
  const lines = csv(ITEMS).split('\r\n');
  expect(lines[0]).toMatch(/^start,end,/);
  expect(lines[1]).toBe(
    '01:01:01.500,01:01:11.000,3661.500,3671.000,9.500,0.912,humor,Late,"louder, ""sudden"""',
  );
  expect(lines[2]).toContain(`,'=SUM(A1),`);
});

it('writes events in the order of the recording, one after the other in the programme', () => {
  const list = edl(ITEMS, 'Talk', 'talk.mp4', 25);
  expect(list).toContain('001  AX       AA/V  C        00:00:10:00 00:00:20:01 00:00:00:00 00:00:10:01');
  expect(list).toContain('002  AX       AA/V  C        01:01:01:13 01:01:11:00 00:00:10:01 00:00:19:14');
  expect(list).toContain('* FROM CLIP NAME: talk.mp4');
});

it('writes chapters from the start', () => {
  expect(chapters(ITEMS, 'Start')).toBe('0:00 Start\n0:10 =SUM(A1)\n1:01:01 Late\n');
  expect(chapters([moment(0, 5, 'At once')], 'Start')).toBe('0:00 At once\n');
});
