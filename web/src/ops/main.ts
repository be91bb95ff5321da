import './styles/tokens.css';
import './styles/base.css';
import { mount } from 'svelte';
import Operations from './Operations.svelte';

export default mount(Operations, { target: document.body });
