import type en from '../en/clips';

export default {} satisfies typeof en;
