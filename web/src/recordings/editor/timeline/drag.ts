/** Following a pointer from press to release, wherever it goes. */

export interface Drag {
  /** Pixels from the left and top edge of the element that was pressed. */
  move: (x: number, y: number, event: PointerEvent) => void;
  end?: () => void;
}

/** An attachment: `start` says what a press begins, or nothing. */
export function draggable(
  start: (x: number, y: number, event: PointerEvent) => Drag | undefined,
): (element: HTMLElement) => () => void {
  return (element) => {
    const place = (event: PointerEvent): [number, number] => {
      const box = element.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const press = (event: PointerEvent): void => {
      if (event.button !== 0) return;
      const drag = start(...place(event), event);
      if (!drag) return;
      event.preventDefault();
      element.setPointerCapture(event.pointerId);
      const move = (next: PointerEvent): void => {
        drag.move(...place(next), next);
      };
      const end = (): void => {
        element.removeEventListener('pointermove', move);
        element.removeEventListener('pointerup', end);
        element.removeEventListener('pointercancel', end);
        drag.end?.();
      };
      element.addEventListener('pointermove', move);
      element.addEventListener('pointerup', end);
      element.addEventListener('pointercancel', end);
    };
    element.addEventListener('pointerdown', press);
    return () => {
      element.removeEventListener('pointerdown', press);
    };
  };
}
