/** Whether the operator sells anything; where not, no page speaks of plans. Set by the billing pages' own code. */
class Shop {
  isOpen = $state(false);
}

export const shop = new Shop();
