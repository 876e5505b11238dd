"""Pictures and video: taken in, made safe and small by decoders in a box of their own, served by signed addresses."""
