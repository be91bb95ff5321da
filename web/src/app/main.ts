import '../styles/index.css';
import { mount } from 'svelte';
import { loadText } from '../text';
import App from './App.svelte';

/** The words first: nothing is drawn in one language and then in another. */
async function start(): Promise<void> {
  await loadText();
  // The page answers between loading the code and drawing it.
  await new Promise((resolve) => setTimeout(resolve));
  mount(App, { target: document.body });
}

void start();
