import type en from '../en/rooms';

export default {} satisfies typeof en;
