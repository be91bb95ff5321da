/** Light or dark: as the system says, or as the reader chose. */

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'snuggles.theme';

class ThemeChoice {
  theme = $state<Theme>(stored());

  choose(theme: Theme): void {
    this.theme = theme;
    if (theme === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
    apply(theme);
  }
}

function stored(): Theme {
  const found = localStorage.getItem(KEY);
  return found === 'light' || found === 'dark' ? found : 'system';
}

function apply(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
}

apply(stored());
export const themes = new ThemeChoice();
