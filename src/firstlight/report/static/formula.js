// Eq. 3 and the correlation, as firstlight.theory.formula and firstlight.profile compute them.

// e_i = (1 - exp(-tau lambda_i^2)) / lambda_i: the profile of a linear CNN after a training time tau, up to infinity.
// By expm1, so that neither small nor large tau cancels.
function linearCnnProfile(variance, tau) {
  return variance.map((v) => (v > 0 ? -Math.expm1(-tau * v) / Math.sqrt(v) : 0));
}

// Subtract the mean and scale to unit length; null where that is impossible: NaN, or all values equal.
function standardized(profile) {
  if (!profile.every(Number.isFinite)) return null;
  const peak = largest(profile.map(Math.abs));
  const relative = peak > 0 ? profile.map((e) => e / peak) : profile; // so that no square over- or underflows
  const mean = sum(relative) / relative.length;
  const centred = relative.map((e) => e - mean);
  const length = Math.sqrt(dot(centred, centred));
  return length <= 1e-14 * Math.sqrt(profile.length) ? null : centred.map((e) => e / length);
}

// Pearson correlation of two profiles; NaN where it is undefined.
function correlation(a, b) {
  const x = standardized(a);
  const y = standardized(b);
  return x && y ? Math.min(1, Math.max(-1, dot(x, y))) : NaN;
}

// As multiples of the largest: how profiles of different scale are drawn on one axis, each by its own peak.
function relativeToPeak(profile) {
  const peak = largest(profile);
  return peak > 0 ? profile.map((e) => e / peak) : profile.slice();
}

// The largest finite value, at least 0.
function largest(values) {
  return values.reduce((peak, value) => (Number.isFinite(value) && value > peak ? value : peak), 0);
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function dot(a, b) {
  return a.reduce((total, value, i) => total + value * b[i], 0);
}
