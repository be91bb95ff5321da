/** Whether the browser has a network at all. */
class Connection {
  isOnline = $state(navigator.onLine);

  constructor() {
    for (const name of ['online', 'offline'])
      window.addEventListener(name, () => {
        this.isOnline = navigator.onLine;
      });
  }
}

export const connection = new Connection();
