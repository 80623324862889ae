% Prints IW-SSIM of the code of Wang & Li 2011, the real and the imaginary part.
%
% Runs in Octave, without packages: octave authors_iw_ssim.m CODE PYRAMIDS original.bin distorted.bin HEIGHT WIDTH
% CODE holds iwssim.m and the functions that the authors publish with it, PYRAMIDS is matlabPyrTools.
% The files hold uint8 pixels in Octave's order: numpy.asfortranarray(image).ravel("K").tofile("original.bin").
% Two functions of MATLAB's Image Processing Toolbox that the code calls are defined here.

1;

function window = fspecial(kind, size, sigma)
  taps = exp(-((1 - size) / 2:(size - 1) / 2) .^ 2 / (2 * sigma ^ 2));
  window = taps' * taps / sum(taps) ^ 2;
end

function image = imresize(image, shape, method)
  % Interpolates linearly between the centres of pixels, as MATLAB does where it enlarges.
  image = resize_rows(resize_rows(image, shape(1))', shape(2))';
end

function out = resize_rows(image, m)
  n = size(image, 1);
  position = min(max(((1:m)' - 0.5) * n / m + 0.5, 1), n);
  below = min(floor(position), n - 1);
  share = position - below;
  out = (1 - share) .* image(below, :) + share .* image(below + 1, :);
end

function image = read(path, shape)
  file = fopen(path);
  image = double(reshape(fread(file), shape));
  fclose(file);
end

warning('off', 'all');
given = argv();
addpath(given{2}, given{1});
shape = cellfun(@str2double, given(5:6))';
value = iwssim(read(given{3}, shape), read(given{4}, shape));
printf("%.17g %.17g\n", real(value), imag(value));
