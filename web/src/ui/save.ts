/** Hand a file that the page has made or fetched to the browser's downloads. */
export function save(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // Some browsers read it only after the click has been handled.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 1000);
}
