import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import tseslint from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

export default tseslint.config(
  { ignores: ['src/api/schema.d.ts', 'src/api/room_events.ts'] },
  js.configs.recommended,
  tseslint.configs.strict,
  tseslint.configs.stylistic,
  svelte.configs.recommended,
  svelte.configs.prettier,
  {
    // Types are TypeScript's trade; it knows the globals of the browser.
    rules: {
      'no-undef': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_', argsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: tseslint.parser, svelteConfig } },
    rules: {
      'svelte/no-at-html-tags': 'error',
      // Our addresses are whole: there is no base path and no SvelteKit.
      'svelte/no-navigation-without-resolve': 'off',
      'svelte/button-has-type': 'error',
      'svelte/no-target-blank': 'error',
      // Sets and maps that nothing draws need not be reactive.
      'svelte/prefer-svelte-reactivity': 'off',
      // An attribute `style` is refused by the content security policy; `style:` directives go through the CSSOM.
      'no-restricted-syntax': [
        'error',
        { selector: "SvelteAttribute[key.name='style']", message: 'Use a class, or a style: directive.' },
      ],
    },
  },
);
