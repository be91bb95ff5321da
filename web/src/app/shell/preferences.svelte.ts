/** How this reader likes things shown; kept by the browser. */

const KEY = 'snuggles.exact-times';

class Preferences {
  hasExactTimes = $state(localStorage.getItem(KEY) === 'yes');

  toggleTimes(): void {
    this.hasExactTimes = !this.hasExactTimes;
    localStorage.setItem(KEY, this.hasExactTimes ? 'yes' : 'no');
  }
}

export const preferences = new Preferences();
