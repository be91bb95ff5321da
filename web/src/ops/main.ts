import '../styles/fonts.css';
import '../styles/tokens.css';
import '../styles/base.css';
import '../styles/controls.css';
import '../styles/parts.css';
import './styles/tokens.css';
import './styles/base.css';
import './styles/operations.css';
import { mount } from 'svelte';
import { loadText } from '../text';
import Operations from './Operations.svelte';
import { loadWords } from './text';

/** The words first: nothing is drawn in one language and then in another. */
async function start(): Promise<void> {
  await loadText();
  await loadWords();
  mount(Operations, { target: document.body });
}

void start();
