/** The spaces that are live now, for the sidebar; filled by the rooms' own code. */

export interface LiveSpace {
  code: string;
  name: string;
}

class Happening {
  spaces = $state.raw<LiveSpace[]>([]);
}

export const live = new Happening();
