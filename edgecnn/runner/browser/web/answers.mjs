// What a picture is given: of one class each the most probable, of several labels all that reach their thresholds.

const BEST = 5;

/** [[probability, label], …], the most probable first; of several labels perhaps none. */
export function answersOf(logits, { labels, thresholds }) {
  const shares = thresholds ? Array.from(logits, (value) => 1 / (1 + Math.exp(-value))) : softmax(logits);
  const named = shares.map((share, index) => [share, labels[index]]).sort((one, other) => other[0] - one[0]);
  return thresholds ? named.filter(([share, label]) => share >= thresholds[label]) : named.slice(0, BEST);
}

function softmax(logits) {
  const top = Math.max(...logits);
  const odds = Array.from(logits, (value) => Math.exp(value - top));
  const whole = odds.reduce((sum, each) => sum + each, 0);
  return odds.map((each) => each / whole);
}
